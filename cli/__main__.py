"""`python -m msda_tf.cli`: the msda-tf command, for where its script is not on the PATH."""

from .main import main

main()
