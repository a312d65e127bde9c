"""Payment service providers: `base` is the contract, `registry` finds an account's adapter, one module per PSP."""
