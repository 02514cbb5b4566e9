"""What the tests share: Customer.io over HTTP, the command as a process, messages."""
