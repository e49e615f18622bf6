"""`python -m msda_tf.cli`: the msda-tf command, for where its script is not on the PATH."""

from msda_tf.cli.main import main

main()
