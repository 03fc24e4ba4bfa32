"""The equations: functions on arrays, written like the papers they cite."""
