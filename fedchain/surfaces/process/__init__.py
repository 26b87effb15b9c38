"""The whole way: scans are filtered, merged, made denser and reconstructed, and can be resumed."""
