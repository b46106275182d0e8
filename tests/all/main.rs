//! One binary for every whole-program scenario.
