// Loaded after htmx and before it starts: without these, htmx writes a <style> element and evaluates strings.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
