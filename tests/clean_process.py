"""Runs requests through a SavedModel in a process that has TensorFlow, but not this project.

    python clean_process.py MODEL REQUESTS ANSWERS

REQUESTS is a pickled list of (signature, input name, array); ANSWERS becomes a list of dictionaries of output arrays,
or strings, where the model refused.
"""

import pickle
import sys

# None makes an import fail.
sys.modules["msda_tf"] = None

import tensorflow as tf  # noqa: E402

model_path, requests_path, answers_path = sys.argv[1:]
model = tf.saved_model.load(model_path)
answers = []
with open(requests_path, "rb") as file:
    requests = pickle.load(file)
for signature, name, value in requests:
    try:
        outputs = model.signatures[signature](**{name: tf.constant(value)})
        answers.append({key: output.numpy() for key, output in outputs.items()})
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}")
with open(answers_path, "wb") as file:
    pickle.dump(answers, file)
