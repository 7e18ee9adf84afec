// The Faultline module.
