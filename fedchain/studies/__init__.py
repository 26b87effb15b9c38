"""Many runs together: sweeps, figures, tables, reports."""
