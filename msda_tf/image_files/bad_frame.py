"""What is raised of an image file that cannot be used."""


class BadFrame(Exception):
    """One frame cannot be used; the message is the reason, without the file's name."""
