// The Userfault module.
