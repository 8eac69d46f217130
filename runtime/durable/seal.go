package durable

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// NoChecksum stands in a JSON document's "checksum" until Seal fills it in.
const NoChecksum = "0000000000000000000000000000000000000000000000000000000000000000"

var checksumKey = []byte(`"checksum": "`)

// Seal puts the SHA-256 of a document into its first key "checksum", which must
// hold NoChecksum. It guards every byte of the document, white space as well.
func Seal(document []byte) {
	at := bytes.Index(document, checksumKey) + len(checksumKey)
	sum := sha256.Sum256(document)
	hex.Encode(document[at:], sum[:])
}

// Unseal refuses a document that is not, byte for byte, what Seal left. The
// error says in what way it differs: "it is empty", "it is cut off …".
func Unseal(document []byte) error {
	if len(bytes.TrimSpace(document)) == 0 {
		return errors.New("it is empty")
	}
	key := bytes.Index(document, checksumKey)
	if key < 0 && json.Valid(document) {
		return errors.New("it is JSON, but nothing that slbctl has written")
	}
	at := key + len(checksumKey)
	if key < 0 || len(document) < at+len(NoChecksum) {
		return errors.New("it is cut off, or nothing that slbctl has written")
	}
	h := sha256.New()
	h.Write(document[:at])
	h.Write([]byte(NoChecksum))
	h.Write(document[at+len(NoChecksum):])
	if hex.EncodeToString(h.Sum(nil)) == string(document[at:at+len(NoChecksum)]) {
		return nil
	}
	if !json.Valid(document) {
		return errors.New("it is cut off or damaged: its checksum does not match")
	}
	return errors.New("it was changed or damaged: its checksum does not match")
}

// Checksum returns the checksum of a sealed document.
func Checksum(document []byte) string {
	at := bytes.Index(document, checksumKey) + len(checksumKey)
	return string(document[at : at+len(NoChecksum)])
}
