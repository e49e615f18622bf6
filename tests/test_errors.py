"""Unforeseen errors in one line."""

import tensorflow as tf

from msda_tf.errors import summary


def test_an_error_inside_a_graph_gives_its_message_and_not_the_code_around_it():
    @tf.function
    def broken():
        raise ValueError("the map is empty")

    try:
        broken()
    except ValueError as error:
        assert summary(error) == "ValueError: the map is empty"
    else:
        raise AssertionError("no error")


def test_an_error_while_a_graph_runs_gives_its_message():
    @tf.function
    def number(text):
        return tf.strings.to_number(text)

    try:
        number(tf.constant("abc"))
    except tf.errors.InvalidArgumentError as error:
        expected = "InvalidArgumentError: StringToNumberOp could not correctly convert string: abc"
        assert summary(error) == expected
    else:
        raise AssertionError("no error")


def test_an_error_without_a_message_gives_its_type():
    assert summary(KeyError("x\ny")).startswith("KeyError: ")
    assert summary(RuntimeError()) == "RuntimeError: "
