"""How figures look to people: words, plots as plain values, and the page style that every report shares. No IO."""
