"""Named starting points for a configuration: only what differs from the defaults of `TrainConfig`."""

# AdaptSegNet (CVPR 2018) as its code runs: one pooled branch, SGD, two of four rates, batch-of-one statistics.
_ADAPTSEGNET = {
    "layout": "s-all",
    "norm": "adaptsegnet",
    "aspp_rates": (6, 12),
    "source_size": (1280, 720),
    "target_size": (1024, 512),
    "loss_at": "input",
    "mean": "imagenet",
    "optimizer": "sgd",
    "generator_lr": 2.5e-4,
    "head_lr_mult": 10.0,
    "steps": 150000,
    "poly_steps": 250000,
}

PRESETS: dict[str, dict] = {
    # The paper's own setting, as far as it states one: the defaults.
    "paper": {},
    "adaptsegnet": _ADAPTSEGNET,
    # The smaller weights that its authors advise for Torch 0.4 and later (README, issue 69).
    "adaptsegnet-torch04": {**_ADAPTSEGNET, "adv_weight_feature": 5e-5, "adv_weight_output": 5e-4},
    # Least squares at both levels, with the weights that its authors name to begin with (issue 88).
    "adaptsegnet-lsgan": {**_ADAPTSEGNET, "gan": "lsgan", "adv_weight_feature": 2e-3, "adv_weight_output": 1e-2},
    # Fits an 11 GB GPU: the paper's reduced resolution.
    "reduced": {"scale": 0.5, "held_out": 40},
    # One's own data on a small GPU or a patient CPU, from ImageNet weights that pip brings.
    "small": {
        "backbone": "efficientnet-lite0",
        "output_stride": 16,
        "scale": 0.5,
        "generator_lr": 2e-4,
        "head_lr_mult": 10.0,
        "batch_size": 2,
        "flip": True,
        "steps": 10000,
        "evaluate_every": 500,
        "held_out": 40,
    },
    # Learns the miniature scenes from random weights on two CPU cores.
    "tiny": {
        "backbone": "tiny",
        "norm": "group",
        "init": "none",
        "aspp_rates": (2, 4, 8, 12),
        "discriminator_width": 16,
        # With the published networks' lambdas, which are for pretrained features and 50000 steps, the adversary has no
        # say in 1200 steps from random weights; at their learning rate discriminators come to life slowly. See
        # docs/studies/miniature.md.
        "adv_weight_feature": 2e-3,
        "adv_weight_output": 1e-2,
        "discriminator_lr": 1e-3,
        "generator_lr": 2e-3,
        "weight_decay": 1e-4,
        "batch_size": 2,
        "steps": 1200,
        "flip": True,
        "checkpoint_every": 200,
        "evaluate_every": 200,
        "evaluate_images": 20,
        "held_out": 20,
    },
}
