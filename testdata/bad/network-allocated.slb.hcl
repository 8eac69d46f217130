instance "a" {}
runtime {
  network = "${instance.a.address}/16"
}
