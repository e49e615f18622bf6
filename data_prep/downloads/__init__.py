"""Getting data sets that can be had without a form: fetched, checked and unpacked."""
