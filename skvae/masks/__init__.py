"""Networks that estimate masks."""
