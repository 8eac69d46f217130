instance {}
