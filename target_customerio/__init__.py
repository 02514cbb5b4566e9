"""A Singer target for Customer.io."""
