//! Loads a YAML file into a typed value; errors name file, line, column and field.
