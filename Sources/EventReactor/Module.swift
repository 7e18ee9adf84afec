// The EventReactor module.
