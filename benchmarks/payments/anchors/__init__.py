"""What the payments benchmark compares with: a view that does nothing, and the endpoint as it is usually written."""
