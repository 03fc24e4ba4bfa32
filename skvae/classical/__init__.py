"""Classical enhancers: gain rules on an estimate of the noise power."""
