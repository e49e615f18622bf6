"""`python -m msda_tf`: the command where its script is not on the path."""

from msda_tf.cli.main import main

main()
