"""What provisioners do in a guest. Knows Protocols only: connections and programs are handed in."""
