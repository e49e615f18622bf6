"""Folders on other file systems: reached by Apache Beam, which is loaded when one is named and not before."""
