"""Documents: what is given to people on paper or as a table. They present; what they show was read elsewhere."""
