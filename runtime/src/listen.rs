//! Binds listeners; errors name the address, what it was for, and the remedy.
