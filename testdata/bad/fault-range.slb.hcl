instance "a" {
  fault {
    error_rate = 2
    status     = 200
    delay      = "1h"
  }
}
