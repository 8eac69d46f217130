runtime {}
runtime {}
