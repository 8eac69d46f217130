instance "ECS01" { page "/" { content = "x" } }
