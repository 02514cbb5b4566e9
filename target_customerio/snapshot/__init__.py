"""What Customer.io was told last, to send only what changed."""
