instance "a" {}
/* what follows
