"""What HCL expressions mean: values, types, conversion, evaluation, functions."""
