package sim

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// number writes a float as people do: no exponent, no trailing zeros.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// percent writes a fraction with as many decimals as it has, up to four.
func percent(share float64) string { return number(math.Round(share*1e6)/1e4) + "%" }

// seconds writes a length of time: 5m0s.
func seconds(v float64) string { return time.Duration(math.Round(v * 1e9)).String() }

// Brief writes a measured time, in seconds, with three digits.
func Brief(v float64) string {
	d := time.Duration(math.Round(v * 1e9))
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// count writes how many there are of something.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
