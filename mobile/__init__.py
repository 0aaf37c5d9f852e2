"""The phone: everything said is kept until the server says that it is stored."""
