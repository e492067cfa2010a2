"""``python -m willis``: the command ``willis`` where its folder isn't on the path."""

from willis.app.cli.main import main

if __name__ == "__main__":
    main()
