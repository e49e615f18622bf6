"""From images to label maps: what evaluation, prediction and the exported model all run."""
