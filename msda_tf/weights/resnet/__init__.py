"""Foreign weights of ResNets: Keras' and Torch's."""
