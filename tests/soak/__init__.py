"""Long runs under load: what a deploy, a crash and a power cut cost the visitors of a site."""
