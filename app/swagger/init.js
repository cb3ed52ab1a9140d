// A file of its own: a Content-Security-Policy that is worth having allows no script in the page.
// The paths are relative, so that the app may sit behind one of its own: /docs reads /openapi.json.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  validatorUrl: "none", // otherwise somebody else's server is asked for an opinion
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
