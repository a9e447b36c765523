"""What x-agent puts between Python and an unmodified BCC tool."""
