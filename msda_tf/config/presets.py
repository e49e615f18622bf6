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

# Where images of the sources are held out, branches count by what those say of them: docs/studies/unequal_sources.md.
_BY_HELD_OUT = {"held_out": 40, "merge": "class-weighted-probability"}

_SMALL = {
    **_BY_HELD_OUT,
    "backbone": "efficientnet-lite0",
    "output_stride": 16,
    "scale": 0.5,
    "generator_lr": 2e-4,
    "head_lr_mult": 10.0,
    "batch_size": 2,
    "flip": True,
    "steps": 10000,
    "evaluate_every": 500,
}

# Published recipes train on every image of their sources, which leaves nothing to weigh branches by. As pseudo-labels
# are the mean probability, so is the merge.
_SELF_TRAINING = {"method": "self-training", "layout": "joint", "merge": "mean-probability"}

_DAFORMER = {
    **_SELF_TRAINING,
    "backbone": "mit-b5",
    "decoder": "daformer",
    "source_size": (1280, 720),
    "target_size": (1024, 512),
    "crop": (512, 512),
    "crop_max_share": 0.75,
    "flip": True,
    "source_images": "rare-classes",
    "rare_temperature": 0.01,
    "rare_min_pixels": 3000,
    "rare_crop_ratio": 0.5,
    "mean": "imagenet",
    # Its network has classifiers at the output alone, and divides by all pixels.
    "seg_weight_feature": 0.0,
    "loss_over": "all",
    "batch_size": 2,
    "optimizer": "adamw",
    "generator_lr": 6e-5,
    "weight_decay": 0.01,
    "head_lr_mult": 10.0,
    "warm_up": 1500,
    "poly_power": 1.0,
    "steps": 40000,
    "ema_decay": 0.999,
    "ema_when": "before",
    "pseudo_threshold": 0.968,
    "pseudo_weight": "share",
    # 15 and 120 rows of crops of 512.
    "pseudo_margins": (15 / 512, 120 / 512, 0.0, 0.0),
    "classmix_classes": "batch",
    "colour_jitter": 0.2,
    "feature_distance": True,
    "feature_distance_weight": 0.005,
    "feature_distance_classes": (6, 7, 11, 12, 13, 14, 15, 16, 17, 18),
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
    "reduced": {"scale": 0.5, **_BY_HELD_OUT},
    # One's own data on a small GPU or a patient CPU, from ImageNet weights that pip brings.
    # At the published width of 64, discriminators would take most of a step of so small a network.
    "small": {**_SMALL, "discriminator_width": 16},
    # DACS (WACV 2021), configs/configUDA.json and trainUDA.py; several sources share one network and one teacher.
    "dacs": {
        **_SELF_TRAINING,
        "source_size": (1280, 720),
        "target_size": (1024, 512),
        "crop": (512, 512),
        "mean": "imagenet",
        # Its network has classifiers at the output alone.
        "seg_weight_feature": 0.0,
        "batch_size": 2,
        "optimizer": "sgd",
        "generator_lr": 2.5e-4,
        "head_lr_mult": 10.0,
        "steps": 250000,
        "ema_decay": 0.99,
        "ema_when": "after",
        "pseudo_threshold": 0.968,
        "pseudo_weight": "share",
        "classmix_classes": "image",
        "colour_jitter": 0.25,
        "checkpoint_every": 5000,
        "evaluate_every": 5000,
    },
    # DAFormer (CVPR 2022), configs/daformer/gta2cs_uda_warm_fdthings_rcs_croppl_a999_daformer_mitb5_s0.py.
    "daformer": _DAFORMER,
    # MIC (CVPR 2023) on DAFormer at half of Cityscapes' size, where its blocks have 32 pixels.
    "mic": {**_DAFORMER, "masked": True, "mask_weight": 1.0, "mask_ratio": 0.7, "mask_block": 32},
    # Self-training on a small GPU or a patient CPU, with what paid in short trainings: docs/studies/self_training.md.
    "self-training-small": {
        **_SMALL,
        "method": "self-training",
        "layout": "joint",
        "ema_decay": 0.99,
        "pseudo_floor": 0.5,
        "pseudo_threshold": 0.6,
        "pseudo_weight": "pixel",
        "masked": True,
        "mask_ratio": 0.3,
        "mask_block": 32,
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
        **_BY_HELD_OUT,
        "held_out": 20,
    },
}
