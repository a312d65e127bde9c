"""The benchmark of the ledger: its shapes, and the anchors they are measured beside."""
