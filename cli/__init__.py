"""The msda-tf command: parses, calls the library, prints."""
