"""Network: which nodes are linked, and when each of them receives what another one sends."""
