output "x" { value = acl.office }
