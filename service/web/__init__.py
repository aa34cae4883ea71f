"""The pages: rendered here, from what the API's own functions return, and made live by one ES module a page."""
