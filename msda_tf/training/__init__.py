"""The adversarial step and the loop around it."""
