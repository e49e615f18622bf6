"""Training methods: which losses a step descends on, and in which order."""
