"""`python -m scraper`."""

if __name__ == "__main__":
    # Here, for each worker process imports this module again and needs no command line.
    from scraper.cli import main

    main()
